"""Saxon in a process of its own: its native image has been seen to end the one that it lives in, exit 99.

Takes the stylesheet as its argument; then, line by line, an XML text as JSON, and answers with its report.
"""

import json
import sys

from saxonche import PySaxonProcessor


def main() -> None:
    saxon = PySaxonProcessor(license=False)
    rules = saxon.new_xslt30_processor().compile_stylesheet(stylesheet_file=sys.argv[1])
    for line in sys.stdin:
        report = rules.transform_to_string(xdm_node=saxon.parse_xml(xml_text=json.loads(line)))
        sys.stdout.write(json.dumps(report) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
