"""Sheets that a person keeps: CSV and XLSX."""
