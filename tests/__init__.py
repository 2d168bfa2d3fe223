"""Tests that cross the parts; an adapter's own tests sit in its folder."""
