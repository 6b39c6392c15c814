"""Prints the JSON Schema of scenario files: python -m mgdemo.scenario > scenarios/schema.json"""

import json

from mgdemo.scenario import json_schema

print(json.dumps(json_schema(), indent=2))
