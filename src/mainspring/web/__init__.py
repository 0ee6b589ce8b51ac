"""Pages for people in the server that answers programs: what the system does, how well, and why.

`gate` lets in who has signed in and hands on what is asked; `renderer` makes the pages in a process of its own, out of `source`;
`pages` holds one file for each; `shell` is what stands around all of them. What a person changes goes through `changes`.
"""
