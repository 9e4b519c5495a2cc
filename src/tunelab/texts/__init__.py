"""Room of the texts: what a text holds (personal data, secrets, language, quality), and the text without it."""
