"""From a suite and a model to rows: what is asked, asking it, and keeping the answers."""
