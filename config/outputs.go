package config

// Names of the stack's outputs. No output is a secret: what a person or program needs in order to look at the tier, not
// to log in to it.
const (
	OutputCloud       = "cloud"
	OutputEnvironment = "environment"
	OutputRegion      = "region"
	// OutputSTSEndpoint is where STS answers, as the driver reaches it.
	OutputSTSEndpoint = "stsEndpoint"

	// OutputOIDCProviderArn, OutputNodeSecurityGroupID, OutputVpcID, OutputSubnetIDs and OutputDatabaseCIDRs have the
	// names that a stackReference looks for: a service's stack may refer to the cluster's.
	OutputOIDCProviderArn     = "oidcProviderArn"
	OutputNodeSecurityGroupID = "nodeSecurityGroupId"
	OutputVpcID               = "vpcId"
	OutputSubnetIDs           = "subnetIds"
	OutputDatabaseCIDRs       = "databaseCidrs"
	// OutputOperatorNamespace is where the cluster's operator is; the stack that installs it has this output.
	OutputOperatorNamespace = "operatorNamespace"

	OutputDatabaseIdentifier = "databaseIdentifier"
	OutputDatabaseEndpoint   = "databaseEndpoint"
	OutputDatabasePort       = "databasePort"
	OutputDatabaseName       = "databaseName"
	// OutputDatabaseUser is the user that the pool is in the database.
	OutputDatabaseUser = "databaseUser"
	// OutputMasterSecretArn is the ARN of the master user's secret, which holds user and password.
	OutputMasterSecretArn = "masterSecretArn"
	OutputKmsKeyArn       = "kmsKeyArn"

	// OutputConnectionsPlanned is how many connections to the database the tier can have open at once, and
	// OutputConnectionsLimit how many it may plan with.
	OutputConnectionsPlanned = "connectionsPlanned"
	OutputConnectionsLimit   = "connectionsLimit"

	OutputRoleArn                 = "secretsRoleArn"
	OutputServiceAccount          = "secretsServiceAccount"
	OutputServiceAccountNamespace = "secretsServiceAccountNamespace"

	OutputNamespace = "namespace"
	OutputStore     = "secretStore"
	// OutputExternalSecrets are the names of all ExternalSecrets in the namespace of the service.
	OutputExternalSecrets = "externalSecrets"
	// OutputSecret holds DATABASE_URL through the pool, OutputDirectSecret the direct one for migrations.
	OutputSecret       = "databaseSecret"
	OutputDirectSecret = "directDatabaseSecret"
	OutputPoolSecret   = "poolSecret"

	// OutputPoolKind is pgbouncer or rdsProxy. The first has the outputs pool, poolContainer, poolSocketDir and
	// poolSecret, the second proxy.
	OutputPoolKind = "poolKind"
	// OutputProxy names the RDS Proxy.
	OutputProxy = "proxy"
	// OutputDatabaseRoleArn is the role with which the service logs in to the database, and OutputIAMUser the user that
	// it then is.
	OutputDatabaseRoleArn = "databaseRoleArn"
	OutputIAMUser         = "databaseIamUser"
	// OutputPool names the pool's Deployment and Service, OutputPoolContainer the container with PgBouncer.
	OutputPool          = "pool"
	OutputPoolContainer = "poolContainer"
	// OutputPoolHost is the pool's name as pods in any namespace resolve it.
	OutputPoolHost = "poolHost"
	// OutputPoolSocketDir is the folder of PgBouncer's Unix socket in its container, where its console needs no
	// password.
	OutputPoolSocketDir = "poolSocketDir"

	// OutputBootstrapJob is the Job that made the application's role; there is none where the pool is the master user.
	OutputBootstrapJob = "bootstrapJob"
	OutputMigrationJob = "migrationJob"
	// OutputReconnectJob is the Job that had the pool open new connections after the last migration.
	OutputReconnectJob = "reconnectJob"
	OutputDeployment   = "deployment"
	OutputContainer    = "container"
	OutputService      = "service"
)
