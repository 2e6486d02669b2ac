#!/usr/bin/env bash
# Deploys ListBackup to AWS: scripts/deploy.sh {stage} {group} [--dry-run]. Without arguments it prints its usage.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x node_modules/.bin/node ]; then
  echo 'Node and the CDK are not installed. Run npm ci first.' >&2
  exit 1
fi
export PATH="$PWD/node_modules/.bin:$PATH"
exec node --disable-warning=ExperimentalWarning infra/cdk/deploy.ts "$@"
