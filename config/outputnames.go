package config

// Names of the stack's outputs. They say where the parts of the tier are; none of them is secret.
const (
	OutputCloud       = "cloud"
	OutputEnvironment = "environment"
	OutputRegion      = "region"
	// OutputSTSEndpoint is the URL of STS as the driver reaches it.
	OutputSTSEndpoint = "stsEndpoint"

	// OutputOIDCProviderArn, OutputNodeSecurityGroupID, OutputVpcID, OutputSubnetIDs and OutputDatabaseCIDRs have the
	// names that a stackReference reads by default, so a service's stack can refer to the cluster's.
	OutputOIDCProviderArn     = "oidcProviderArn"
	OutputNodeSecurityGroupID = "nodeSecurityGroupId"
	OutputVpcID               = "vpcId"
	OutputSubnetIDs           = "subnetIds"
	OutputDatabaseCIDRs       = "databaseCidrs"
	// OutputOperatorNamespace is the namespace of the cluster's operator. Only the stack that installs it has this
	// output.
	OutputOperatorNamespace = "operatorNamespace"

	OutputDatabaseIdentifier = "databaseIdentifier"
	OutputDatabaseEndpoint   = "databaseEndpoint"
	OutputDatabasePort       = "databasePort"
	OutputDatabaseName       = "databaseName"
	// OutputDatabaseUser is the database user that the pool logs in as.
	OutputDatabaseUser = "databaseUser"
	// OutputMasterSecretArn is the ARN of the secret with the master user's name and password.
	OutputMasterSecretArn = "masterSecretArn"
	OutputKmsKeyArn       = "kmsKeyArn"

	// OutputConnectionsPlanned is how many connections to the database the tier can have open at once.
	OutputConnectionsPlanned = "connectionsPlanned"
	// OutputConnectionsLimit is how many connections the tier may plan with.
	OutputConnectionsLimit = "connectionsLimit"
	// OutputConnectionPlan explains connectionsPlanned: one line for each holder of connections.
	OutputConnectionPlan = "connectionPlan"

	OutputSecretsRoleArn                 = "secretsRoleArn"
	OutputSecretsServiceAccount          = "secretsServiceAccount"
	OutputSecretsServiceAccountNamespace = "secretsServiceAccountNamespace"

	OutputNamespace   = "namespace"
	OutputSecretStore = "secretStore"
	// OutputExternalSecrets are the names of all ExternalSecrets in the service's namespace.
	OutputExternalSecrets = "externalSecrets"
	// OutputDatabaseCredential is the Secret with the generated password of the database user. A stack whose pool logs
	// in as the master user does not have it.
	OutputDatabaseCredential = "databaseCredential"
	// OutputRoleGeneration is the generation of the application role that is deployed, which includes the recoveries.
	// OutputRoleGenerationCreated is the time at which it was first deployed (RFC 3339). A stack whose pool logs in as
	// the master user has neither.
	OutputRoleGeneration        = "roleGeneration"
	OutputRoleGenerationCreated = "roleGenerationCreated"
	// OutputPoolLogin is the Secret with the generated password of the service's login to the pool. RDS Proxy has none.
	OutputPoolLogin = "poolLogin"
	// OutputRecoveries is how many times `dbtier up` has replaced the generated passwords.
	OutputRecoveries = "recoveries"
	// OutputDatabaseSecret is the Secret with the DATABASE_URL of the pool.
	OutputDatabaseSecret = "databaseSecret"
	// OutputDirectDatabaseSecret is the Secret with the DATABASE_URL of the instance, for migrations.
	OutputDirectDatabaseSecret = "directDatabaseSecret"
	OutputPoolSecret           = "poolSecret"

	// OutputPoolKind is pgbouncer or rdsProxy. A stack with pgbouncer has the outputs pool, poolContainer,
	// poolSessionDatabase, poolSocketDir and poolSecret; a stack with rdsProxy has the output proxy.
	OutputPoolKind = "poolKind"
	// OutputProxy is the name of the RDS Proxy.
	OutputProxy = "proxy"
	// OutputDatabaseRoleArn is the role with which the service logs in to the database by IAM tokens.
	OutputDatabaseRoleArn = "databaseRoleArn"
	// OutputDatabaseIAMUser is the database user that the service logs in as by IAM tokens.
	OutputDatabaseIAMUser = "databaseIamUser"
	// OutputPool is the name of the pool's Deployment and Service.
	OutputPool = "pool"
	// OutputPoolContainer is the name of the container that runs PgBouncer.
	OutputPoolContainer = "poolContainer"
	// OutputPoolHost is the host name of the pool, as pods in every namespace resolve it.
	OutputPoolHost = "poolHost"
	// OutputPoolSessionDatabase is the pool's name of the service's database for people and tools.
	OutputPoolSessionDatabase = "poolSessionDatabase"
	// OutputPoolSocketDir is the folder of PgBouncer's Unix socket in its container. Its console needs no password
	// there.
	OutputPoolSocketDir = "poolSocketDir"

	// OutputBootstrapJob is the Job that created the application's role. A stack whose pool logs in as the master user
	// does not have it.
	OutputBootstrapJob = "bootstrapJob"
	OutputMigrationJob = "migrationJob"
	// OutputReconnectJob is the Job that made the pool reconnect after the last migration.
	OutputReconnectJob = "reconnectJob"
	OutputDeployment   = "deployment"
	// OutputDrillImage is the image of the load of drills, and OutputDrillConnections the number of connections that it
	// may open. A stack without drills does not have them.
	OutputDrillImage       = "drillImage"
	OutputDrillConnections = "drillConnections"
	OutputContainer        = "container"
	OutputService          = "service"
)
