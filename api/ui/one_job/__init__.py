"""What the page of one job tells, made of the API's answer: words, phases, places elsewhere. Pure."""
