"""Document systems (quản lý văn bản và điều hành)."""
