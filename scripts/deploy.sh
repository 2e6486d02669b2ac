#!/usr/bin/env bash
# Deploys ListBackup to AWS: scripts/deploy.sh {stage} {group} [--dry-run]. Without arguments it says what there is.
set -euo pipefail
cd "$(dirname "$0")/.."
if [ ! -x node_modules/.bin/node ]; then
  echo 'Run npm ci first: it brings the pinned Node and the CDK.' >&2
  exit 1
fi
export PATH="$PWD/node_modules/.bin:$PATH"
exec node --disable-warning=ExperimentalWarning infra/cdk/deploy.ts "$@"
