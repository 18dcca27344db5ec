#!/usr/bin/env bash
# Creates what cluster/config.yaml names, once per account and region: two roles, a security group, a key pair.
#     cluster/iam/make.sh BUCKET [ADDRESS]
# Needs administrator rights. Run it again if your address has changed; existing parts are kept. SSH is allowed from
# ADDRESS only (default: the public address of this machine). Prints the line for config.yaml.
set -euo pipefail
bucket=${1:?give the name of the bucket for data and runs}
address=${2:-$(curl --silent --fail https://checkip.amazonaws.com)}
here=$(cd "$(dirname "$0")" && pwd)
account=$(aws sts get-caller-identity --query Account --output text)
filled() { sed -e "s/ACCOUNT/$account/g" -e "s/BUCKET/$bucket/g" "$here/$1"; }

# It exists since the account's first spot machine.
aws iam create-service-linked-role --aws-service-name spot.amazonaws.com > /dev/null 2>&1 || true
for role in emotune-head emotune-worker; do
  aws iam get-role --role-name "$role" > /dev/null 2>&1 ||
    aws iam create-role --role-name "$role" --assume-role-policy-document "$(filled trust.json)" > /dev/null
  aws iam put-role-policy --role-name "$role" --policy-name bucket --policy-document "$(filled bucket.json)"
  aws iam get-instance-profile --instance-profile-name "$role" > /dev/null 2>&1 || {
    aws iam create-instance-profile --instance-profile-name "$role" > /dev/null
    aws iam add-role-to-instance-profile --instance-profile-name "$role" --role-name "$role"
  }
done
aws iam put-role-policy --role-name emotune-head --policy-name machines --policy-document "$(filled head.json)"

find_group() {
  aws ec2 describe-security-groups --filters Name=group-name,Values=emotune \
    --query 'SecurityGroups[0].GroupId' --output text
}
group=$(find_group)
if [ "$group" = None ]; then
  group=$(aws ec2 create-security-group --group-name emotune --description "emotune: SSH from one address" \
    --query GroupId --output text)
  # The machines may reach each other on all ports; from outside only SSH is open.
  aws ec2 authorize-security-group-ingress --group-id "$group" --protocol all --source-group "$group" > /dev/null
fi
# Fails if the address is allowed already.
aws ec2 authorize-security-group-ingress --group-id "$group" --protocol tcp --port 22 --cidr "$address/32" \
  > /dev/null 2>&1 || true

if [ ! -e ~/.ssh/emotune.pem ]; then
  mkdir -p ~/.ssh
  key=$(aws ec2 create-key-pair --key-name emotune --key-type ed25519 --query KeyMaterial --output text)
  (umask 077 && echo "$key" > ~/.ssh/emotune.pem)
fi
echo "SecurityGroupIds: [$group]   # SSH from $address"
