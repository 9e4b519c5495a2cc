"""Sub-room of judgements: what a judge model says of two models' answers, what people say, and what both are worth."""
