"""Room of rendering: a conversation becomes prompt ids and completion ids; the only room that knows chat templates."""
