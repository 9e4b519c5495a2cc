"""Rules: each looks at the data or at the planned run and yields what is wrong with it."""
