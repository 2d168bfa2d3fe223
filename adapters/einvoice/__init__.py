"""E-invoices: a folder of standard XML, or a provider's service."""
