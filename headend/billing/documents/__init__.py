"""Bills and credit notes as documents: a PDF for the subscriber, an EN 16931 invoice in UBL for machines."""
