"""People sign in with a provider of OpenID Connect: the authorization code flow, with PKCE.

joserfc verifies signatures, as for other tokens (`opa.jwt`). What Authlib, of the same author, would do besides is
small, and it leaves open what matters here: it does not compare the issuer of a discovery document, bounds neither the
time nor the size of an answer, asks for keys with each unknown id, and needs SessionMiddleware and an HTTP client.
"""
