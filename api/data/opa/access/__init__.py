"""Who is calling: the actor of a request, what it may do, and what finds it out."""
