"""Sheets that people keep, CSV and XLSX: their shape, their reading, and the workbook to fill in.

Agents read them from folders, the portal takes them by upload: a sheet says the same to both.
"""
