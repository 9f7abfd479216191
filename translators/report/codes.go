package report

// Code identifies a kind of finding for ever; "meshknot code MKnnnn" explains it.
type Code string

// Row is what the code table says of one code.
type Row struct {
	Code     Code
	Severity Severity
	// Title is a few words; Explain a paragraph for "meshknot code".
	Title   string
	Explain string
	// Hint is the default advice of a finding with this code.
	Hint string
}

// Row returns the table row of c, or a row of severity error with only the
// code when there is none (a test sees to it that every code has one).
func (c Code) Row() Row {
	for _, r := range codes {
		if r.Code == c {
			return r
		}
	}
	return Row{Code: c, Severity: Error}
}

// Codes returns the code table in order of code.
func Codes() []Row { return codes }

// MK1xxx: reading the input. MK2xxx: what SMI objects say, and their
// conflicts, MK25xx what Gateway API objects say. MK3xxx: what a back end makes
// of a policy. MK4xxx: Rego rules.
const (
	Undecodable      Code = "MK1001"
	UnknownField     Code = "MK1002"
	WrongType        Code = "MK1003"
	MissingField     Code = "MK1004"
	BadName          Code = "MK1005"
	UnknownVersion   Code = "MK1006"
	IgnoredKind      Code = "MK1007"
	DuplicateObject  Code = "MK1008"
	LimitExceeded    Code = "MK1009"
	UnreadableFile   Code = "MK1010"
	IdenticalObject  Code = "MK1011"
	DuplicateKey     Code = "MK1012"
	NothingRead      Code = "MK1013"
	BadValue         Code = "MK1014"
	BadAnnotation    Code = "MK1015"
	BindingConflict  Code = "MK1016"
	RootSelfBackend  Code = "MK2001"
	ChainedSplit     Code = "MK2002"
	RootNameForm     Code = "MK2003"
	ForeignNamespace Code = "MK2004"
	AllWeightsZero   Code = "MK2005"
	BadWeight        Code = "MK2006"
	MissingBackend   Code = "MK2007"
	MissingPort      Code = "MK2008"
	SplitConflict    Code = "MK2009"
	NoRules          Code = "MK2010"
	NoSources        Code = "MK2011"
	UnknownRoute     Code = "MK2012"
	UnknownMatch     Code = "MK2013"
	DuplicateMatch   Code = "MK2014"
	BadRegex         Code = "MK2015"
	AnchorAmbiguous  Code = "MK2016"
	DeadMatch        Code = "MK2017"
	DuplicateHeader  Code = "MK2018"
	BadMethod        Code = "MK2019"
	HTTPGrantOnTCP   Code = "MK2020"
	NoSuchPort       Code = "MK2021"
	InferredService  Code = "MK2022"
	InferredProtocol Code = "MK2023"
	UnknownPorts     Code = "MK2024"
	UnknownPods      Code = "MK2025"
	UnknownAccount   Code = "MK2026"
	BadKind          Code = "MK2027"
	UDPUnsupported   Code = "MK2028"
	ConvertedPort    Code = "MK2029"
	SharedTargetPort Code = "MK2030"
	SelectorCatches  Code = "MK2031"
	MatchesOnTCP     Code = "MK2032"
	OpenWorkload     Code = "MK2033"
	BoundIdentity    Code = "MK2034"
	DuplicateBackend Code = "MK2035"
	NoEffect         Code = "MK2036"
	NotAttached      Code = "MK2501"
	UnknownParent    Code = "MK2502"
	NotPermitted     Code = "MK2503"
	BadBackendKind   Code = "MK2504"
	ListenerConflict Code = "MK2505"
	NoListener       Code = "MK2506"
	UnknownFilter    Code = "MK2507"
	KindConflict     Code = "MK2508"
	HostIgnored      Code = "MK2509"
	NotSpoken        Code = "MK2510"
	Lossy            Code = "MK3001"
	Refused          Code = "MK3002"
	Withheld         Code = "MK3003"
	Claimed          Code = "MK3004"
	Implicit         Code = "MK3005"
	Relocation       Code = "MK3006"
	WeightRounded    Code = "MK3007"
	NameTruncated    Code = "MK3008"
	NoClusterAddress Code = "MK3009"
	WaiverUnused     Code = "MK3010"
	ByHand           Code = "MK3011"
	Unexplained      Code = "MK3012"
	LetsThrough      Code = "MK3013"
	MeshRefuses      Code = "MK3014"
	Crashed          Code = "MK3015"
	Kept             Code = "MK3016"
	BeyondGate       Code = "MK3017"
	Taken            Code = "MK3018"
	PolicyViolation  Code = "MK4001"
	PolicyBroken     Code = "MK4002"
	PolicyTimeout    Code = "MK4003"
	PolicyForbidden  Code = "MK4004"
	BundleRefused    Code = "MK4005"
)
