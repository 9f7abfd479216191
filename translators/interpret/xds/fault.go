package xds

import (
	"errors"
	"fmt"
	"math"

	faultv3 "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/fault/v3"
	typev3 "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/protobuf/types/known/anypb"
)

// FaultFilter is the name under which shares have faults of their own.
const FaultFilter = "envoy.filters.http.fault"

// Fault returns the status that a fault answers every request with, or zero.
func Fault(config *anypb.Any) (int, error) {
	f := &faultv3.HTTPFault{}
	if err := UnpackTo(config, f); err != nil {
		return 0, err
	}
	if f.GetDelay() != nil || len(f.GetHeaders()) > 0 || f.GetUpstreamCluster() != "" {
		return 0, errors.New("a fault with conditions or delay is not understood")
	}
	switch percent := Percent(f.GetAbort().GetPercentage()); {
	case percent == 0:
		return 0, nil
	case percent < 100:
		return 0, errors.New("a fault for some requests is not understood")
	}
	status := int(f.GetAbort().GetHttpStatus())
	if status == 0 { // it has another way to fail
		return 0, errors.New("a fault without a status is not understood")
	}
	return status, nil
}

// Percent reads a fraction, 0 to 100.
func Percent(f *typev3.FractionalPercent) float64 {
	of := map[typev3.FractionalPercent_DenominatorType]float64{typev3.FractionalPercent_HUNDRED: 1,
		typev3.FractionalPercent_TEN_THOUSAND: 100, typev3.FractionalPercent_MILLION: 10_000}
	return min(100, float64(f.GetNumerator())/of[f.GetDenominator()])
}

// Total refuses a sum of weights that is none, or does not fit.
func Total(weights uint64) error {
	if weights == 0 || weights > math.MaxUint32 {
		return fmt.Errorf("weights that sum up to %d are refused", weights)
	}
	return nil
}
