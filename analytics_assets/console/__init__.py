"""What commands print: lines of plain text, and errors as a sentence that says what to do. No commands."""
