"""What tests are made with; nothing in here is a test."""
