"""Bulk: a whole data set rendered, by helper processes where it is large, and kept in a cache."""
