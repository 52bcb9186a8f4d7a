"""Templates of the console's pages: one environment a package, with the parts that all pages share.

A template sees `visit` (who asks, see headend.kit.side), `_`, `plural` and `html` (its words in the visit's
language), `money`, `number`, `percent`, `day`, `moment`, `month` and `ago`, and whatever it is given.
Everything is escaped. `{% from "kit/parts.html" import … %}` brings the shared parts.
"""

from functools import cache
from urllib.parse import quote, urlencode

from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined, select_autoescape

from headend.kit.side import Visit


@cache
def environment(package: str) -> Environment:
    """The templates of a package, and the shared ones under kit/."""
    made = Environment(
        loader=ChoiceLoader([PackageLoader(package), PackageLoader("headend.kit")]),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals["address"] = address
    return made


def address(path: str, **arguments: object) -> str:
    """The console's address of a path with a query, of which empty arguments are left out."""
    query = urlencode({name: value for name, value in arguments.items() if value not in {None, ""}})
    return f"/console/{quote(path)}" + (f"?{query}" if query else "")


def render(package: str, template: str, visit: Visit, **values: object) -> str:
    """A template of a package for a visit."""
    words = visit.language
    page = environment(package).get_template(template)
    return page.render(
        visit=visit,
        _=words.text,
        plural=words.plural,
        html=words.html,
        money=words.money,
        number=words.number,
        percent=words.percent,
        day=words.day,
        moment=words.moment,
        month=words.month,
        ago=words.ago,
        **values,
    )
