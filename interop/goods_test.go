package interop_test

import (
	"encoding/json"
	"net/netip"

	"github.com/goslo/goslo/objects"
)

// The objects of python/shop/goods.py.

type shopObject struct {
	objects.Object `prefix:"shop_object" namespace:"shop"`
}

type Item struct {
	shopObject `version:"1.1"`
	Name       objects.Field[string]   `json:"name"`
	Size       objects.Nullable[int64] `json:"size" since:"1.1"`
}

func (i Item) MarshalJSON() ([]byte, error)  { return objects.Marshal(i) }
func (i *Item) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, i) }

type orderState string

func (orderState) Values() []string { return []string{"open", "sent"} }

// orderFields are those of Order up to 1.2.
type orderFields struct {
	objects.Timestamps
	UUID     objects.ReadOnly[string]            `json:"uuid"`
	Address  objects.Nullable[netip.Addr]        `json:"address"`
	Network  objects.Nullable[netip.Prefix]      `json:"network"`
	State    objects.Field[orderState]           `json:"state"`
	Tags     objects.Field[[]string]             `json:"tags"`
	Notes    objects.Field[map[string]*string]   `json:"notes"`
	Weight   objects.Field[float64]              `json:"weight"`
	Paid     objects.Field[bool]                 `json:"paid" default:"false"`
	Gift     objects.Field[objects.FlexibleBool] `json:"gift"`
	Card     objects.Nullable[objects.Sensitive] `json:"card"`
	Count    objects.Field[int64]                `json:"count" default:"1"`
	Sizes    objects.Field[[][]int]              `json:"sizes"`
	First    objects.Nullable[*Item]             `json:"first" relationships:"1.1=1.0 1.2=1.1"`
	Items    objects.Field[[]*Item]              `json:"items" relationships:"1.0=1.0 1.2=1.1"`
	Shelves  objects.Field[map[string]*Item]     `json:"shelves"`
	Priority objects.Field[int]                  `json:"priority" since:"1.2"`
}

type Order struct {
	shopObject `version:"1.2"`
	orderFields
}

func (o Order) MarshalJSON() ([]byte, error)  { return objects.Marshal(o) }
func (o *Order) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, o) }

type OrderList struct {
	shopObject `version:"1.1"`
	objects.List[Order]
}

func (l OrderList) MarshalJSON() ([]byte, error)  { return objects.Marshal(l) }
func (l *OrderList) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, l) }

// A newOrder is an Order that Python does not know yet.
type newOrder struct {
	shopObject `version:"1.3" name:"Order"`
	orderFields
	Rush objects.Field[bool] `json:"rush" since:"1.3"`
}

func (o newOrder) MarshalJSON() ([]byte, error)  { return objects.Marshal(o) }
func (o *newOrder) UnmarshalJSON(b []byte) error { return objects.Unmarshal(b, o) }

// A deskAll is the arguments, and the result, of the desk's method all.
type (
	deskAll struct {
		Orders struct {
			Of []any `json:"of"`
		} `json:"orders"`
	}
	deskAnswer struct {
		Orders *OrderList `json:"orders"`
	}
	restockArgs struct {
		Order *Order `json:"order"`
	}
	restockNew struct {
		Order *newOrder `json:"order"`
	}
)

// primitive encodes for a comparison of meanings, see meaning.
func primitive(v any) json.RawMessage {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
