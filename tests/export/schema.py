# SPDX-License-Identifier: GPL-2.0-only
"""schema.py SCHEMA [NDJSON]...: each line is a record as the schema has it, and
has no members but those of the schema."""
import json
import sys

import jsonschema


def strict(schema):
    """Validators of each type of record, which allow no other members. Some
    verbs have a form of their own of a type."""
    validators = {}
    for option in schema["anyOf"]:
        name = option["$ref"].rpartition("/")[2]
        record = schema["definitions"][name]
        kind = record["properties"]["type"]["const"]
        one = {"definitions": schema["definitions"], **record,
               "additionalProperties": False}
        validators.setdefault(kind, []).append(
            jsonschema.Draft7Validator(one))
    return validators


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        schema = json.load(file)
    jsonschema.Draft7Validator.check_schema(schema)
    whole = jsonschema.Draft7Validator(schema)
    validators = strict(schema)
    seen = set()
    bad = 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            lines = file.readlines()
        for number, line in enumerate(lines, 1):
            record = json.loads(line)
            kind = record.get("type")
            errors = ["no such type"]
            for validator in validators.get(kind, []):
                errors = [error.message for error
                          in validator.iter_errors(record)]
                if not errors:
                    break
            # as others would use it; slow, so one of each type
            if not errors and kind not in seen:
                seen.add(kind)
                errors = [error.message for error
                          in whole.iter_errors(record)]
            for error in errors:
                bad += 1
                print(f"{path}:{number}: {kind}: {error}")
    print("types:", *sorted(seen))
    sys.exit(1 if bad else 0)


main()
