"""Who is calling? From the bearer header to a uniform principal."""
