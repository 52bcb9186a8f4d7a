"""The programme guide: what was on which channel when, as DVB genre codes, read from XMLTV."""
