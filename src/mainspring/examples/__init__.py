"""Systems that come with Mainspring; each is one file, written as a user would."""
