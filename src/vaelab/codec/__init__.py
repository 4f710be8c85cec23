"""Raw items to what a net sees, and back."""
