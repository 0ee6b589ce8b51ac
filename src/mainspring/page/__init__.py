"""What every page is made of, so that there is one look: components, style, charts, words for figures.

Reports, replays and the dashboard of a server are made of the same parts. `components` writes the HTML, `style.css` is the
visual language, `charts` and `charts.js` draw, `wording` says figures the way people read them, `document` makes a page that
works offline.
"""
