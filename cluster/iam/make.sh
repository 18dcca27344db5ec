#!/usr/bin/env bash
# Makes, once per account and region, what cluster/config.yaml names: two roles, a security group, a key pair.
#     cluster/iam/make.sh BUCKET      (with the rights of an administrator; what is there already is left as it is)
# Prints the security group's id, which goes into config.yaml.
set -euo pipefail
bucket=${1:?give the name of the bucket for data and runs}
here=$(cd "$(dirname "$0")" && pwd)
account=$(aws sts get-caller-identity --query Account --output text)
filled() { sed -e "s/ACCOUNT/$account/g" -e "s/BUCKET/$bucket/g" "$here/$1"; }

aws iam create-service-linked-role --aws-service-name spot.amazonaws.com > /dev/null 2>&1 || true  # there since the first spot machine
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
  aws ec2 describe-security-groups --filters Name=group-name,Values=emotune --query 'SecurityGroups[0].GroupId' --output text
}
group=$(find_group)
if [ "$group" = None ]; then
  group=$(aws ec2 create-security-group --group-name emotune --description "emotune: SSH from one address" \
    --query GroupId --output text)
  # Among themselves the machines may talk on all ports; nobody else reaches any but SSH.
  aws ec2 authorize-security-group-ingress --group-id "$group" --protocol all --source-group "$group" > /dev/null
fi
address=$(curl --silent --fail https://checkip.amazonaws.com)
aws ec2 authorize-security-group-ingress --group-id "$group" --protocol tcp --port 22 --cidr "$address/32" > /dev/null 2>&1 ||
  true  # allowed already

if [ ! -e ~/.ssh/emotune.pem ]; then
  (umask 077 && aws ec2 create-key-pair --key-name emotune --key-type ed25519 --query KeyMaterial --output text > ~/.ssh/emotune.pem)
fi
echo "SecurityGroupIds: [$group]   # SSH from $address"
