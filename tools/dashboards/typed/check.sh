#!/usr/bin/env bash
# check.sh DIR: holds the dashboards against the types that Grafana publishes. DIR has node_modules with @grafana/schema and typescript.
set -eu -o pipefail
dir=$1
here=$(cd "$(dirname "$0")" && pwd)
cp "$here/checked.ts" "$dir/"
n=0
for file in "$here"/../../../deploy/grafana/dashboards/*.json; do
  n=$((n + 1))
  { printf "import type { Checked } from './checked';\nexport const dashboard: Checked = "; cat "$file"; } >"$dir/$(basename "$file" .json).ts"
done
[ "$n" -eq 4 ] || { echo "found $n dashboards, want 4"; exit 1; }
check() { "$dir/node_modules/.bin/tsc" --noEmit --strict --skipLibCheck --module esnext --moduleResolution bundler --target es2022 "$dir"/*.ts; }
check
# A check that cannot fail proves nothing: a panel without a type must not pass.
sed 's/"type": "timeseries"/"typ": "timeseries"/' "$dir/overview.ts" >"$dir/wrong.ts"
if check >/dev/null; then echo "a dashboard with a wrong name in it passes"; exit 1; fi
