"""Rules: which texts change and which rows are rejected, one batch after another.

A rule is a setting of `CleaningConfig` and acts in one place: on a text in `text_rules`, on personal data and secrets
in `privacy`, on a row or on rows before it in `apply`; what needs all rows is decided at the end, in `pipeline`.
"""
