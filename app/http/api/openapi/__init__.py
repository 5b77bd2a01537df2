"""The OpenAPI 3.1 document: the handlers describe their own part, and these modules all that they have in common."""
