"""Scaffolds: looks at somebody's files and writes the domain, mart or report that fits them.

`look` infers and touches nothing; `questions` asks where two readings are possible; `write` writes what was found. What
is written is ordinary code of a domain: nothing here is needed once it stands.
"""
