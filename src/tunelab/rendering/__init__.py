"""Room of the renderer: a conversation becomes prompt ids and completion ids. The one room that knows templates."""
