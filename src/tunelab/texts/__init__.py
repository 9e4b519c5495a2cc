"""Room of the texts: what a text holds, such as personal data or another language, and the text without it."""
