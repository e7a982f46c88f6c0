"""The console: pages in the browser for people who would rather look than type.

`app` puts together what there is: each page has a module of its own with its routes, its query and the name of its
template in `templates`. `routes` says who may ask for what, `visitors` who is asking, `pages` fills in the templates,
`work` does in the background what takes longer than a page may. No page contacts another site: style and script are
in `static`.

A page reads; what it changes goes through the same functions as the command that does the same, with the visitor as
the operator, after a confirmation, and is recorded with the name.
"""

from __future__ import annotations

from lifecycle_jobs.console.server import Console

__all__ = ["Console"]
