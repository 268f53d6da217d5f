"""Python that writes files to hurt whoever reads them."""

HOSTILE = {
    "a line of 1.2 GB in a gzip of 1 MB": """
with gzip.open(folder / "a.csv.gz", "wb", 6) as file:
    file.write((HEADER + GOOD.strip()).encode())
    for _ in range(1200):
        file.write(b"a" * 1_000_000)
""",
    "a line of 1.2 GB of JSON": """
with gzip.open(folder / "a.jsonl.gz", "wb", 6) as file:
    for _ in range(1200):
        file.write(b'{"id": "' + b"a" * 1_000_000)
""",
    "three million lines that are no records": '(folder / "a.csv").write_text(HEADER + "x\\n" * 3_000_000)',
    "three million lines that are no JSON": '(folder / "a.jsonl").write_text("x\\n" * 3_000_000)',
    "8,000 lines with a new key each": """
(folder / "a.jsonl").write_text("".join(json.dumps({"id": str(n), f"key{n}": n}) + "\\n" for n in range(8_000)))
""",
    "lines within quotes": """
(folder / "a.csv").write_text(
    HEADER + "".join(f'{n},2025-06-01 10:00:00,1,1,"' + GOOD * 30 + '"\\n' for n in range(45_000))
)
""",
    "a header of three million columns": '(folder / "a.csv").write_text(HEADER.strip() + "," * 3_000_000 + "\\n")',
}
