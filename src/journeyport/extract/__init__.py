"""Extraction: the walk, the certificate and the cheaper reads beside them."""
