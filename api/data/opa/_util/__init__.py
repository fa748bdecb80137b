"""Small things that know nothing of opa-stack."""
