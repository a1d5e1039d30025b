package awsrules

import (
	"maps"
	"slices"
	"strings"
)

// regions are the regions by partition. Source: "Regions and Zones", AWS General Reference, as of 2026-05. Regions of
// isolated partitions are not listed, because their endpoints are not public.
var regions = map[string]string{
	"aws": `af-south-1 ap-east-1 ap-east-2 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2
		ap-southeast-1 ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ap-southeast-6 ap-southeast-7
		ca-central-1 ca-west-1 eu-central-1 eu-central-2 eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3
		il-central-1 me-central-1 me-south-1 mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2`,
	"aws-cn":     "cn-north-1 cn-northwest-1",
	"aws-us-gov": "us-gov-east-1 us-gov-west-1",
}

var partitionOf = func() map[string]string {
	of := map[string]string{}
	for partition, list := range regions {
		for region := range strings.FieldsSeq(list) {
			of[region] = partition
		}
	}
	return of
}()

// Regions returns the names of all regions, sorted.
func Regions() []string { return slices.Sorted(maps.Keys(partitionOf)) }

// Partition returns the partition of a region. known is false for a region that does not exist, or that is newer than
// this package.
func Partition(region string) (partition string, known bool) {
	partition, known = partitionOf[region]
	return partition, known
}
