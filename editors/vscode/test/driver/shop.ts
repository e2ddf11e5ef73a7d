/**
 * A small shop in Python. Its test says what it does, asks a supplier for a price, which is
 * answered when the person at the gate's port lets it, and writes that price into prices.py.
 */
export function shop(port: number): {
  committed: Record<string, string>;
  loose: Record<string, string>;
} {
  return {
    committed: {
      '.gitignore': '__pycache__/\n',
      'README.md': '# Shop\n\nPrices of fruit, kept up to date by its own tests.\n',
      'prices.py': prices,
      'supplier.py': supplier(port),
      'test_prices.py': tests,
      Makefile: 'check:\n\tpython3 -m unittest\n',
    },
    loose: {
      'notes.txt': 'buy plums\n',
      'README.md':
        '# Shop\n\nPrices of fruit, kept up to date by its own tests. Not saved in git yet.\n',
    },
  };
}

const prices = `"""Prices of the shop, in cents."""

APPLE = 120


def total(items):
    """What a cart costs."""
    return sum(items)


# Updated from the supplier.
PLUM = 90
`;

const tests = `import re
import unittest
from pathlib import Path

import prices
import supplier


class PricesTest(unittest.TestCase):
    def test_plums_cost_what_the_supplier_says(self):
        today = supplier.price("plum")
        file = Path("prices.py")
        file.write_text(re.sub(r"PLUM = \\d+", f"PLUM = {today}", file.read_text()))
        print(f"plums cost {today} now", flush=True)
        self.assertGreater(prices.total([prices.APPLE, today]), prices.APPLE)
`;

function supplier(port: number): string {
  return `"""Asks the supplier for prices."""

import http.client


def price(fruit):
    print(f"asking the supplier for the price of a {fruit} ...", flush=True)
    connection = http.client.HTTPConnection("127.0.0.1", ${port})
    connection.request("GET", f"/{fruit}")
    today = int(connection.getresponse().read())
    connection.close()
    return today
`;
}
