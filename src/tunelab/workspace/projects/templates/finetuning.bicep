// What one training job in Azure Container Apps needs: a file share for data and adapter, logs, a GPU environment, the job.

@description('Seconds after which the job is ended.')
param timeout int

@description('Image of the container that trains.')
param image string@IMAGE@

param location string = resourceGroup().location
param resourceSuffix string = substring(uniqueString(resourceGroup().id), 0, 5)
param storageAccountName string = 'aistorage${resourceSuffix}'
param fileShareName string = 'aifileshare${resourceSuffix}'
param acaEnvironmentName string = 'aienv${resourceSuffix}'
param acaEnvironmentStorageName string = 'aienvstorage${resourceSuffix}'
param acaJobName string = '@JOB@${resourceSuffix}'
param acaLogAnalyticsName string = 'ailog${resourceSuffix}'

var volume = 'workspace'
var gpuProfile = 'GPU'

resource account 'Microsoft.Storage/storageAccounts@2023-01-01' = {
  name: storageAccountName
  location: location
  kind: 'StorageV2'
  sku: { name: 'Standard_LRS' }
  properties: { largeFileSharesState: 'Enabled' }

  resource files 'fileServices' = {
    name: 'default'
    properties: {
      shareDeleteRetentionPolicy: { enabled: true, days: 7 }
    }

    resource share 'shares' = {
      name: fileShareName
      properties: { shareQuota: 1024 }
    }
  }
}

resource logs 'Microsoft.OperationalInsights/workspaces@2022-10-01' = {
  name: acaLogAnalyticsName
  location: location
  properties: {
    sku: { name: 'PerGB2018' }
  }
}

resource environment 'Microsoft.App/managedEnvironments@2023-11-02-preview' = {
  name: acaEnvironmentName
  location: location
  properties: {
    appLogsConfiguration: {
      destination: 'log-analytics'
      logAnalyticsConfiguration: {
        customerId: logs.properties.customerId
        sharedKey: logs.listKeys().primarySharedKey
      }
    }
    workloadProfiles: [
      { name: gpuProfile, workloadProfileType: 'Consumption-GPU-NC24-A100' }
    ]
  }

  resource mounted 'storages' = {
    name: acaEnvironmentStorageName
    properties: {
      azureFile: {
        accountName: account.name
        accountKey: account.listKeys().keys[0].value
        shareName: account::files::share.name
        accessMode: 'ReadWrite'
      }
    }
  }
}

resource job 'Microsoft.App/jobs@2023-11-02-preview' = {
  name: acaJobName
  location: location
  identity: { type: 'None' }
  properties: {
    environmentId: environment.id
    workloadProfileName: gpuProfile
    configuration: {
      triggerType: 'Manual'
      manualTriggerConfig: { parallelism: 1, replicaCompletionCount: 1 }
      replicaTimeout: timeout
      replicaRetryLimit: 3
    }
    template: {
      containers: [
        {
          name: acaJobName
          image: image
          resources: { cpu: 24, memory: '220Gi' }
          volumeMounts: [
            { volumeName: volume, mountPath: '/mount' }
          ]
        }
      ]
      volumes: [
        { name: volume, storageType: 'AzureFile', storageName: environment::mounted.name }
      ]
    }
  }
}

output SUBSCRIPTION_ID string = subscription().subscriptionId
output RESOURCE_GROUP_NAME string = resourceGroup().name
output STORAGE_ACCOUNT_NAME string = account.name
output FILE_SHARE_NAME string = account::files::share.name
output ACA_JOB_NAME string = job.name
output LOG_ANALYTICS_NAME string = logs.name
output COMMANDS array = []
output ARGS array = [ '@ARGUMENT@' ]
