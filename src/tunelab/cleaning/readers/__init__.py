"""Readers: files as batches of rows, packed text read by a fast parser and judged by a strict one."""
