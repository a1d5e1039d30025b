package main

import (
	"dbtier/components/externalsecrets"
)

// addOperator installs the cluster's operator, unless another stack of the cluster installs it. The operator has no
// role in AWS: it assumes the role of each service, which addSecretsRole creates.
func (t *tier) addOperator() error {
	if !t.stack.Operator.Install {
		return nil
	}
	args := &externalsecrets.OperatorArgs{
		OperatorSettings:       t.stack.Operator,
		STSEndpoint:            t.stack.AWS.ClusterEndpoint,
		SecretsManagerEndpoint: t.stack.AWS.ClusterEndpoint,
		Scheduling:             t.stack.Scheduling.OfOperator(),
	}
	args.Chart = t.chart
	operator, err := externalsecrets.NewExternalSecretsOperator(t.ctx, "operator", args, t.providers)
	if err != nil {
		return err
	}
	// This is the chart and not the component, because the component may not know its children yet.
	t.prepared = append(t.prepared, operator.Chart)
	return nil
}
