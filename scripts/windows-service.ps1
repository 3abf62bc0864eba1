<#
.SYNOPSIS
    Runs nii watch as a Windows service, with nothing but what Windows brings along.

.DESCRIPTION
    Python does not speak with the service manager of Windows, so this script compiles a small
    service program (about forty lines of C#, below) with the compiler of .NET Framework and
    registers it. The program starts nii watch, starts it again when it ends, and ends it through
    the file "stop" in the state folder, upon which the scans in hand are finished.

    Needs Windows PowerShell 5.1, opened as administrator. NOT TESTED on Windows: written against
    the documentation of ServiceBase and New-Service; the stop file is tested on Linux.

.EXAMPLE
    .\windows-service.ps1 -Nii C:\nii\Scripts\nii.exe -State C:\nii\state `
        -Arguments 'watch D:\lane1 --out D:\results --state C:\nii\state --port 9273'

.EXAMPLE
    .\windows-service.ps1 -Remove
#>
#Requires -Version 5.1
#Requires -RunAsAdministrator
param(
    [string] $Nii = 'C:\nii\Scripts\nii.exe',
    [string] $State = 'C:\nii\state',
    [string] $Arguments,
    [string] $Name = 'nii-watch',
    [switch] $Remove
)
$ErrorActionPreference = 'Stop'

if ($Remove) {
    Stop-Service $Name -ErrorAction SilentlyContinue
    & sc.exe delete $Name
    exit $LASTEXITCODE
}
if (-not $Arguments) { throw 'Give -Arguments: what comes after nii on the command line.' }
if (-not (Test-Path $Nii)) { throw "There is no $Nii." }
New-Item -ItemType Directory -Force $State | Out-Null

$code = @'
using System;
using System.Diagnostics;
using System.IO;
using System.ServiceProcess;
using System.Threading;

public class NiiWatchService : ServiceBase
{
    static string program, words, state;
    readonly ManualResetEvent ending = new ManualResetEvent(false);
    Thread keeper;

    public static void Main(string[] given)
    {
        string[] lines = File.ReadAllLines(Path.ChangeExtension(
            System.Reflection.Assembly.GetExecutingAssembly().Location, ".txt"));
        program = lines[0]; state = lines[1]; words = lines[2];
        ServiceBase.Run(new NiiWatchService());
    }

    protected override void OnStart(string[] given)
    {
        keeper = new Thread(Keep);
        keeper.Start();
    }

    protected override void OnStop()
    {
        ending.Set();
        while (!keeper.Join(5000)) RequestAdditionalTime(15000);
    }

    void Keep()
    {
        string stop = Path.Combine(state, "stop");
        while (!ending.WaitOne(0))
        {
            ProcessStartInfo start = new ProcessStartInfo(program, words);
            start.UseShellExecute = false;
            start.CreateNoWindow = true;
            start.RedirectStandardError = true;
            using (StreamWriter log = new StreamWriter(Path.Combine(state, "watch.log"), true))
            using (Process child = Process.Start(start))
            {
                log.AutoFlush = true;
                child.ErrorDataReceived += (sender, line) => {
                    if (line.Data != null) log.WriteLine(DateTime.UtcNow.ToString("s") + "Z " + line.Data);
                };
                child.BeginErrorReadLine();
                while (!child.WaitForExit(500))
                    if (ending.WaitOne(0) && !File.Exists(stop)) File.WriteAllText(stop, "");
                child.WaitForExit();  // until its last line is in the log
            }
            ending.WaitOne(10000);
        }
    }
}
'@

$folder = Split-Path -Parent $Nii
$service = Join-Path $folder "$Name.exe"
if (Get-Service $Name -ErrorAction SilentlyContinue) { throw "$Name is there; remove it first." }
Set-Content -Encoding UTF8 (Join-Path $folder "$Name.txt") @($Nii, $State, $Arguments)
Add-Type -TypeDefinition $code -OutputAssembly $service -OutputType ConsoleApplication `
    -ReferencedAssemblies System.ServiceProcess
New-Service -Name $Name -BinaryPathName "`"$service`"" -StartupType Automatic `
    -DisplayName 'nii watch' -Description 'Inspects cargo X-ray scans as they arrive' | Out-Null
# Should the service program itself fail, Windows starts it again after ten seconds.
& sc.exe failure $Name reset= 86400 actions= restart/10000/restart/10000/restart/10000 | Out-Null
Start-Service $Name
Get-Service $Name
