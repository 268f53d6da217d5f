"""What is made and when: which days are out of date, which conditions request them, and which runs make them."""
